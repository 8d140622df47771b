"""ShuffleNet 1× (Zhang 2017, arXiv:1707.01083), table 1: widths by groups, so that the cost stays about equal.

The printed complexities agree to the last digit when the classifier is left out.
"""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.blocks.shuffle_unit import ShuffleUnit
from search_spaces.zoo.network import Network, Published

TABLE = (  # groups, channels of stage 2 (doubled twice), printed complexity, top-1 (100 less the error of table 2)
    (1, 144, "143M", 66.4),
    (2, 200, "140M", 67.3),
    (3, 240, "137M", 67.4),
    (4, 272, "133M", 67.2),
    (8, 384, "137M", 67.6),
)
DEPTHS = (4, 8, 4)


def shufflenet(groups: int, width: int) -> Arch:
    """Three stages; the first unit's first convolution is not grouped, for its 24 channels are few."""
    first = Stage(ShuffleUnit(groups, first_groups=1), width, 1, 2)
    stages = [first, Stage(ShuffleUnit(groups), width, DEPTHS[0] - 1)]
    stages += [Stage(ShuffleUnit(groups), width * 2**i, DEPTHS[i], 2) for i in (1, 2)]
    return Arch(224, ConvStem(24, pool=True), tuple(stages), PoolHead())


NETWORKS = [
    Network(
        f"shufflenet_g{groups}",
        shufflenet(groups, width),
        "Zhang 2017, arXiv:1707.01083",
        Published(macs, "", top1, "the paper's tables 1 and 2", ("classifier",)),
    )
    for groups, width, macs, top1 in TABLE
]
