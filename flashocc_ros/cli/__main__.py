"""``python -m flashocc_ros.cli`` is ``flashocc``."""

from flashocc_ros.cli.main import main

main()
