"""One thread for torch in every test: two workers on two cores do not fight."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
