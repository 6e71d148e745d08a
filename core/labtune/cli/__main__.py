"""``python -m labtune.cli``, as worker processes are started."""

import sys

from labtune.cli import main

sys.exit(main())
