"""Many questions in one forward: layouts of a flattened batch, and the attention that follows them."""
