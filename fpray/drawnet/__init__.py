"""DrawNet's pictures, and the small CLIP that is trained on them: fpray's own example, which needs no download.

`draw` makes one picture of a class in a style, as a PIL image; `draw_images` makes many, as a uint8 array. First a
function of `shapes` gives a shape, which is put in a pose; then one of `styles` paints it. A picture depends on the
random generator's state and on `DRAWING_VERSION`, and on nothing else.

`weights` holds the model, a folder that open_clip reads; `python -m fpray.drawnet.pretrain` made it, from the pairs
of pictures and captions that `draw_pairs` draws.
"""

from fpray.drawnet.images import balanced_labels, draw_images
from fpray.drawnet.pairs import Pairs, PairsRecipe, draw_pairs
from fpray.drawnet.picture import DRAWING_VERSION, draw
from fpray.drawnet.shapes import CLASSES, FAMILIES
from fpray.drawnet.styles import STYLES

__all__ = [
    "CLASSES",
    "DRAWING_VERSION",
    "FAMILIES",
    "STYLES",
    "Pairs",
    "PairsRecipe",
    "balanced_labels",
    "draw",
    "draw_images",
    "draw_pairs",
]
