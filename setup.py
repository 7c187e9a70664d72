"""Copies ``conf`` into the built package; everything else is in setup.cfg."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CONF = Path(__file__).parent / "conf"


class BuildWithConf(build_py):
    """Puts the configuration beside the code, as ``hrfs/conf``, where a wheel can find it."""

    def run(self) -> None:
        """Build the modules, then copy; an editable build reads ``conf`` where it lies."""
        super().run()
        if not self.editable_mode:
            shutil.copytree(CONF, Path(self.build_lib) / "hrfs" / "conf", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConf})
