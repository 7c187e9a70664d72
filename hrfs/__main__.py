"""``python -m hrfs``."""

from hrfs.cli.main import main

if __name__ == "__main__":
    main()
