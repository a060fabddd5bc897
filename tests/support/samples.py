"""A query and passages that several tests rank."""

QUERY = "how do bees find flowers?"
TEXTS = [
    "Bees dance to show where flowers are.",
    "The stock exchange opened higher on Tuesday.",
    "Honey keeps for years in a closed jar.",
    "Flowers attract bees with colour and scent.",
    "To move a hive, close it at night.",
]
