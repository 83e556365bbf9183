"""`python -m linkbert`, which torchrun needs: the same as the `linkbert` command."""

import sys

from linkbert.cli.commands import main

sys.exit(main())
