"""Training: Lightning modules, datasets, and the runner that trains one slice at a time.

Nothing is imported here, so that the torch-free parts (settings, sources, dataset_check)
stay cheap for the command line. :mod:`hrfs.training.runner` states what a LightningModule and
a LightningDataModule of the user's own owe.
"""
