"""All pages, and the places to begin at. A new module of pages is known by its line here."""

from . import home, plans, runs, signing, sovereigns, wizard
from .places import Place
from .visits import Page

PAGES: tuple[Page, ...] = (*home.PAGES, *signing.PAGES, *sovereigns.PAGES, *plans.PAGES, *runs.PAGES, *wizard.PAGES)
PLACES: tuple[Place, ...] = (Place("/console/sovereigns", "Sovereigns", "s"),)
