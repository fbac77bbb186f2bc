"""The process that trains a run: prepare, fit, calibrate, write.

Main functions: `train.train_run`, `prepare.prepare_run`, `fit.fit_network`, `checks.check_run`,
`augmentation.augment_images`, `devices.find_devices`, `estimate.estimate_training_seconds`.
"""
