"""What is trained: the networks, their rollouts by the engine, and log-probabilities with gradients."""
