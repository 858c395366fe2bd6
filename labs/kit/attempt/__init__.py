"""Judge a learner's attempt at a lab's exercises, and talk about it."""
