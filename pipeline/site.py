"""Old name of `pipeline.wiki_site`, kept until its last importer has moved."""

from pipeline.wiki_site import MAIN as MAIN
from pipeline.wiki_site import SiteInfo as SiteInfo
from pipeline.wiki_site import default_site as default_site
from pipeline.wiki_site import language_of as language_of
