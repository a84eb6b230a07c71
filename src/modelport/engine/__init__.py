"""Queue, batcher and workers of one model version."""
