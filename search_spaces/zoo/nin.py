"""Network in Network (Lin 2013, arXiv:1312.4400) for 224×224 grey images: four mlpconvs, no fully connected layer."""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_head import ConvHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.max_pool import MaxPool
from search_spaces.blocks.mlpconv import Mlpconv
from search_spaces.zoo.network import Network


def nin() -> Arch:
    """11×11, 5×5, 3×3 and 3×3 mlpconvs, 3×3 max pools of stride 2 between; the last has a map a class."""
    stages = (
        Stage(MaxPool(valid=True), 96, stride=2),
        Stage(Mlpconv(kernel=5, norm=False), 256),
        Stage(MaxPool(valid=True), 256, stride=2),
        Stage(Mlpconv(kernel=3, norm=False), 384),
        Stage(MaxPool(valid=True), 384, stride=2),
    )
    stem = ConvStem(96, kernel=11, stride=4, norm=False, valid=True, mix=2)
    return Arch(224, stem, stages, ConvHead(kernel=3, hidden=True))


NETWORKS = [Network("nin", nin(), "Lin 2013, arXiv:1312.4400", in_channels=1)]
