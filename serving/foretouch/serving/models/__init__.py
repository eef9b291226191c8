"""The models that answer: bundles, LightGBM without the layers above it, and what a raw score means."""
