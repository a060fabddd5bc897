"""`python -m training.sft`."""

from rranker.training.options import run_command
from rranker.training.sft.run import main

if __name__ == "__main__":
    run_command("sft", main)
