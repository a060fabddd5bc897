"""`python -m training.grpo`."""

from rranker.training.grpo.run import main

if __name__ == "__main__":
    main()
