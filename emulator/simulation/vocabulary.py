"""The words of the simulated catalogue: names, tags, sentences, licences and the waves of base models.

Everything is bland on purpose. Any change here changes the catalogue of each seed.
"""

from datetime import date
from functools import cache

MODEL_TYPES = (
    ("LORA", 0.62),
    ("Checkpoint", 0.15),
    ("TextualInversion", 0.07),
    ("LoCon", 0.06),
    ("Workflows", 0.03),
    ("Wildcards", 0.02),
    ("Other", 0.02),
    ("Poses", 0.012),
    ("Controlnet", 0.008),
    ("Hypernetwork", 0.007),
    ("AestheticGradient", 0.003),
)
#: The specification's types as the AIR writes them (docs/api-notes.md, 12); all others are "unknown".
AIR_TYPES = {
    "AestheticGradient": "ag",
    "Checkpoint": "checkpoint",
    "Hypernetwork": "hypernet",
    "TextualInversion": "embedding",
    "LORA": "lora",
    "LoCon": "lycoris",
    "Controlnet": "controlnet",
}
FILE_TYPES = ("Model", "VAE", "Config", "Negative", "Training Data", "Archive", "Other")
#: The live service's values (docs/api-notes.md, 11).
LIVE_MODEL_TYPES = (
    "Checkpoint", "TextualInversion", "Hypernetwork", "AestheticGradient", "LORA", "LoCon", "DoRA", "Controlnet",
    "Upscaler", "MotionModule", "VAE", "TextEncoder", "UNet", "CLIPVision", "Poses", "Wildcards", "Workflows",
    "ComfyWorkflows", "Detection", "VisionLanguage", "CLIP", "LLM", "Other",
)  # fmt: skip
LIVE_FILE_TYPES = (
    "Model", "Text Encoder", "Vision Encoder", "Pruned Model", "Negative", "Training Data", "VAE", "Config", "Archive",
    "UNet", "Diffusion Model", "CLIPVision", "ControlNet", "Workflow", "Upscaler", "Enhancement LoRA", "Other",
)  # fmt: skip
#: The first words of base models with a licence that restricts mature images.
RESTRICTED_BASES = ("SD 3", "SVD", "SDXL Turbo")
BASE_MODEL_TYPES = ("Standard", "Inpainting", "Refiner", "Pix2Pix")
LICENCES: tuple[tuple[str, ...], ...] = (
    ("Image", "RentCivit", "Rent", "Sell"),
    ("Image", "RentCivit"),
    ("Sell",),
    ("RentCivit",),
    ("None",),
    ("Image",),
    (),
)

#: (name, AIR ecosystem, first day, days until its peak, weight at the peak, days until it halves after the peak)
BASE_MODELS: tuple[tuple[str, str, date, int, float, int], ...] = (
    ("SD 1.5", "sd1", date(2022, 10, 1), 60, 100, 420),
    ("SD 1.4", "sd1", date(2022, 10, 1), 10, 8, 60),
    ("Other", "other", date(2022, 10, 1), 60, 5, 900),
    ("SD 2.0", "sd2", date(2022, 11, 24), 20, 5, 70),
    ("SD 2.1", "sd2", date(2022, 12, 7), 40, 6, 120),
    ("SD 2.1 768", "sd2", date(2022, 12, 7), 40, 4, 120),
    ("SDXL 0.9", "sdxl", date(2023, 7, 1), 10, 8, 15),
    ("SDXL 1.0", "sdxl", date(2023, 7, 26), 150, 70, 400),
    ("SD 1.5 LCM", "sd1", date(2023, 11, 10), 30, 4, 90),
    ("SDXL Turbo", "sdxl", date(2023, 11, 28), 30, 4, 90),
    ("SVD", "svd", date(2023, 11, 22), 30, 1.5, 120),
    ("Pony", "sdxl", date(2024, 1, 10), 150, 90, 260),
    ("Stable Cascade", "scascade", date(2024, 2, 13), 20, 2, 60),
    ("SDXL Lightning", "sdxl", date(2024, 2, 22), 40, 3, 150),
    ("SDXL Hyper", "sdxl", date(2024, 4, 20), 40, 2, 150),
    ("PixArt a", "pixarta", date(2024, 4, 1), 30, 0.7, 120),
    ("Kolors", "kolors", date(2024, 7, 10), 30, 1, 150),
    ("AuraFlow", "auraflow", date(2024, 7, 14), 30, 0.8, 150),
    ("Flux.1 S", "flux1", date(2024, 8, 2), 30, 3, 200),
    ("Flux.1 D", "flux1", date(2024, 8, 2), 90, 80, 400),
    ("Illustrious", "sdxl", date(2024, 10, 1), 200, 120, 600),
    ("NoobAI", "sdxl", date(2024, 10, 20), 120, 25, 400),
    ("SD 3.5 Large", "sd3", date(2024, 10, 22), 30, 3, 120),
    ("SD 3.5 Medium", "sd3_5m", date(2024, 10, 29), 30, 2, 120),
    ("LTXV", "ltxv", date(2024, 11, 25), 60, 2, 200),
    ("Hunyuan Video", "hyv1", date(2024, 12, 10), 60, 12, 160),
    ("Wan Video 1.3B t2v", "wanvideo1_3b_t2v", date(2025, 3, 1), 50, 5, 160),
    ("Wan Video 14B t2v", "wanvideo14b_t2v", date(2025, 3, 1), 60, 20, 220),
    ("Wan Video 14B i2v 480p", "wanvideo14b_i2v_480p", date(2025, 3, 1), 60, 16, 180),
    ("Wan Video 14B i2v 720p", "wanvideo14b_i2v_720p", date(2025, 3, 1), 60, 10, 180),
    ("HiDream", "hidream", date(2025, 4, 10), 40, 4, 180),
    ("Chroma", "chroma", date(2025, 5, 10), 60, 8, 300),
    ("Flux.1 Kontext", "flux1kontext", date(2025, 6, 27), 40, 8, 200),
    ("Wan Video 2.2 T2V-A14B", "wanvideo-22-t2v-a14b", date(2025, 7, 28), 60, 18, 260),
    ("Wan Video 2.2 I2V-A14B", "wanvideo-22-i2v-a14b", date(2025, 7, 28), 60, 22, 260),
    ("Flux.1 Krea", "fluxkrea", date(2025, 8, 1), 40, 5, 200),
    ("Qwen", "qwen", date(2025, 8, 5), 60, 22, 300),
    ("Wan Video 2.5 T2V", "wanvideo-25-t2v", date(2025, 9, 25), 40, 2, 150),
    ("LTXV2", "ltxv2", date(2025, 10, 24), 60, 8, 250),
    ("Pony V7", "auraflow", date(2025, 11, 5), 40, 5, 200),
    ("Flux.2 D", "flux2", date(2025, 11, 25), 60, 12, 300),
    ("ZImageTurbo", "zimageturbo", date(2025, 11, 27), 50, 45, 350),
    ("Flux.2 Klein 9B", "flux2", date(2026, 1, 16), 50, 15, 300),
    ("ZImageBase", "zimagebase", date(2026, 1, 28), 50, 20, 350),
    ("Anima", "anima", date(2026, 2, 10), 80, 25, 350),
    ("LTXV 2.3", "ltxv23", date(2026, 3, 10), 50, 10, 250),
    ("Qwen 2", "qwen2", date(2026, 4, 2), 50, 10, 300),
    ("Ernie", "ernie", date(2026, 4, 20), 40, 5, 200),
    ("HiDream-O1", "hidream-o1", date(2026, 5, 12), 40, 6, 200),
    ("Krea 2", "krea2", date(2026, 6, 3), 40, 10, 250),
    ("MiniMax H3", "minimaxh3", date(2026, 7, 7), 40, 5, 200),
    ("Flux 3 Video", "flux3video", date(2026, 8, 4), 50, 10, 250),
    ("Ideogram 4.0", "ideogram", date(2026, 9, 1), 40, 5, 250),
    ("Qwen 3", "qwen3", date(2026, 10, 6), 50, 15, 300),
    ("Lens", "lens", date(2026, 11, 3), 40, 6, 250),
    ("Boogu", "boogu", date(2026, 12, 1), 40, 6, 250),
    ("MageFlow", "mageflow", date(2027, 2, 2), 50, 15, 300),
    ("Lumina", "lumina", date(2027, 6, 1), 50, 15, 300),
)

_ADJECTIVES = (
    "Amber Ancient Arctic Autumn Azure Bold Brass Bright Calm Ceramic Cloudy Copper Coral Cosmic Crimson Crystal "
    "Dusty Emerald Fading Gentle Gilded Glass Golden Hidden Indigo Ivory Jade Linen Lucid Lunar Marble Misty Mossy "
    "Neon Nordic Opal Paper Pastel Pearl Plain Quiet Rustic Sable Silver Solar Sunny Teal Timber Velvet Violet "
    "Wandering Winter"
)
ADJECTIVES = _ADJECTIVES.split()
_NOUNS = (
    "Airship Alley Anchor Archive Atlas Aurora Balcony Bakery Beacon Bicycle Botanist Bridge Canal Canyon Carousel "
    "Castle Cathedral Clockwork Coast Comet Compass Courtyard Delta Dragonfly Dune Engine Falcon Fern Ferry Festival "
    "Fjord Forest Fountain Fox Galleon Garden Glacier Greenhouse Harbour Heron Horizon Island Kettle Kingfisher "
    "Lantern Library Lighthouse Locomotive Market Meadow Mill Mosaic Mountain Observatory Orchard Origami Otter Owl "
    "Pagoda Parade Pavilion Penguin Pier Postcard Prairie Quarry Railway Reef River Robot Rocket Sailor Satellite "
    "Skyline Sparrow Stadium Station Tapestry Teapot Temple Theatre Tower Tram Valley Viaduct Village Violin Voyager "
    "Waterfall Whale Windmill Workshop"
)
NOUNS = _NOUNS.split()
FOREIGN_NAMES = (
    "夜の図書館", "水彩の街", "青い灯台", "秋天的山谷", "玻璃花园", "Осенний вокзал", "Café Étoilé", "Grüner Wald",
    "한옥의 정원", "Ñandú del Río", "🌊 Ocean Study", "✨ Sparkle Type", "Αρχαίο Λιμάνι", "Smörgås Still Life",
)  # fmt: skip
NAME_SUFFIXES = ("", "", "", " Style", " Mix", " Concept", " XL", " Diffusion", " Study", " Character", " Type")
RENAME_SUFFIXES = (" Remastered", " (final)", " Redux", " Reborn", " - updated", " Next")

COMMON_TAGS = (
    "style", "character", "anime", "photorealistic", "landscape", "concept", "clothing", "base model",
    "architecture", "animals", "vehicle", "illustration", "fantasy", "portrait", "video game", "cartoon",
    "background", "poses", "buildings", "objects", "sci-fi", "painting", "art style", "tool", "watercolor", "3d",
    "nature", "photography", "comics", "pixel art", "mecha", "city", "retro", "cute", "food", "assets", "action",
    "celebration", "sky", "ocean",
)  # fmt: skip
TAG_QUALIFIERS = (
    "soft", "classic", "modern", "tiny", "giant", "vintage", "folk", "noir", "minimal", "ornate", "nordic", "tropical",
    "urban", "rural", "winter", "summer", "night", "morning", "paper", "glass", "metal", "wooden", "painted", "knitted",
)  # fmt: skip

_SUBJECTS = (
    "This model", "The training set", "The first version", "A low weight", "The recommended sampler", "Each picture",
    "The trigger word", "A short prompt", "The merge", "Every tested prompt", "The dataset", "The latest upload",
)  # fmt: skip
_VERBS = (
    "works well with", "was balanced against", "keeps the look of", "is meant for", "was tuned on", "pairs nicely with",
    "gives clean lines in", "stays close to", "adds soft light to", "was checked on", "brings more detail to",
)  # fmt: skip
_OBJECTS = (
    "quiet landscapes and old buildings", "simple portraits in daylight", "product photographs on a plain background",
    "watercolor and ink drawings", "wide shots of cities at night", "animals, plants and still life",
    "posters and book covers", "mechanical subjects such as trains and ships", "interiors with many small objects",
    "the samples below, which were not edited", "a weight between 0.6 and 0.9", "20 to 30 steps & a moderate scale",
)  # fmt: skip
SENTENCES = tuple(f"{subject} {verb} {thing}." for subject in _SUBJECTS for verb in _VERBS for thing in _OBJECTS)

SAMPLERS = ("Euler a", "DPM++ 2M Karras", "DPM++ SDE Karras", "DDIM", "UniPC", "Euler")
#: Keys of image `meta` beside the usual ones: the service passes on all keys of the image file.
META_KEYS = (
    "Clip skip", "Hires upscale", "Denoising strength", "ENSD", "Version", "RNG", "Schedule type", "Lora hashes",
)  # fmt: skip


@cache
def tag_name(index: int) -> str:
    """The tag at a rank of popularity; every index has its own name."""
    if index < len(COMMON_TAGS):
        return COMMON_TAGS[index]
    index -= len(COMMON_TAGS)
    index, noun = divmod(index, len(NOUNS))
    if index == 0:
        return NOUNS[noun].lower()
    index, qualifier = divmod(index - 1, len(TAG_QUALIFIERS))
    name = f"{TAG_QUALIFIERS[qualifier]} {NOUNS[noun].lower()}"
    return name if index == 0 else f"{name} {index + 1}"


def username(index: int, number: int) -> str:
    """The name of a creator: unique by `index`; `number` (16 bits) chooses the words."""
    return f"{ADJECTIVES[number % len(ADJECTIVES)]}{NOUNS[(number >> 6) % len(NOUNS)]}_{index}"
