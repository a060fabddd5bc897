"""What is learnt from: sources of ranking examples, the public data they draw from, and their teachers."""
