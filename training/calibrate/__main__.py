"""`python -m training.calibrate`."""

from rranker.training.calibrate.run import main

if __name__ == "__main__":
    main()
