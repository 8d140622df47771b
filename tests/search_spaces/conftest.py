import torch
from hypothesis import settings

# The first draw of a space reads its lattice, seconds that no single example may be blamed for;
# derandomized, because a test that fails on one machine only helps nobody.
settings.register_profile("language", deadline=None, derandomize=True)
settings.load_profile("language")

torch.set_num_threads(1)  # these networks are too small to share out
