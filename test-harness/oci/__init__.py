"""`make oci`: the bundle as a container image, with a bill of materials and checksums."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What the image has: all plugins in one module.
PACKAGE = "ai-gateway"
