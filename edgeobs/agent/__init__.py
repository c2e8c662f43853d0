"""The pipeline on one node: reads, scrapes and takes what the node tells, and says up what matters of it."""
