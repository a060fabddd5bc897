"""`python -m training.grpo`."""

from rranker.training.grpo.run import main
from rranker.training.options import run_command

if __name__ == "__main__":
    run_command("grpo", main)
