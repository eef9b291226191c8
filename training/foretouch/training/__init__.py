"""Labels, models, calibration, evaluation on later data, registry and bundles."""
