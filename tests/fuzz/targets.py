"""All targets by name."""

from tests.fuzz import parse, rank, rewards, trec

TARGETS = {target.name: target for target in (parse.TARGET, trec.TARGET, rewards.TARGET, rank.TARGET)}
