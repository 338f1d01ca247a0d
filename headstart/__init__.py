"""Give a local language model a head start on learning: ten examples, seconds, a file of a few megabytes."""
