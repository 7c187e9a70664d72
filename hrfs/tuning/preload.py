"""Imported by Ray in each process that it keeps ready; see :mod:`hrfs.tuning.head_start`."""

from hrfs.tuning.head_start import import_named

import_named()
