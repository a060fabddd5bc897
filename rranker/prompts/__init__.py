"""A prompt as segments: templates say the words, formats lay them out, encoders make them ids."""

from rranker.deprecated import renamed_members

from .generic import GENERIC
from .passage import PASSAGE
from .recommendation import RECOMMENDATION
from .routing import ROUTING, ROUTING_INSTRUCTIONS
from .segments import Kind, PromptPart, Query, Segments
from .template import Template

TEMPLATES: dict[str, Template] = {t.name: t for t in (PASSAGE, RECOMMENDATION, ROUTING, GENERIC)}

__all__ = ["ROUTING_INSTRUCTIONS", "TEMPLATES", "Kind", "PromptPart", "Query", "Segments", "Template"]

__getattr__ = renamed_members(__name__, {"SETTINGS": "ROUTING_INSTRUCTIONS"})
