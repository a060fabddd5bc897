"""`python -m training.calibrate`."""

from rranker.training.calibrate.run import main
from rranker.training.options import run_command

if __name__ == "__main__":
    run_command("calibrate", main)
