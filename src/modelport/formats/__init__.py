"""File formats: each module turns one kind of artifact into a Predictor."""
