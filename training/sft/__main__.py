"""`python -m training.sft`."""

from rranker.training.sft.run import main

if __name__ == "__main__":
    main()
