"""Where keys and values are kept: slots, who holds them, and what is stored there."""
