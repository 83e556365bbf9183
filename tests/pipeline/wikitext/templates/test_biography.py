"""The sentence of {{Bio}}, as the Italian Wikipedia shows it."""

from __future__ import annotations

import pytest

from pipeline.wikitext.templates.biography import biography

render = biography({}, "it")
WOMAN = {"Sesso": "F", "Attività": "attrice"}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, ""),
        ({"Nome": "A", "Attività": "pittore"}, "'''A''' è un pittore."),
        ({"Nome": "A", "Cognome": "B", **WOMAN}, "'''A B''' è un'attrice."),
        ({"Nome": "A", "Cognome": "B", "CognomePrima": "sì", **WOMAN}, "'''B A''' è un'attrice."),
        ({"Nome": "A", "Titolo": "Sir", "Attività": "scrittore"}, "'''Sir A''' è uno scrittore."),
        ({"Nome": "A", "Attività": "[[psicologo]]"}, "'''A''' è uno [[psicologo]]."),
        ({"Nome": "A", "Attività": "insegnante"}, "'''A''' è un insegnante."),
        ({"Nome": "A", "Attività": "abate", "Epoca": "200"}, "'''A''' è stato un abate."),
        ({"Nome": "A", "Attività": "abate", "Epoca": "1900/2000"}, "'''A''' è un abate."),
        ({"Nome": "A", "Attività": "abate", "Epoca": "XX"}, "'''A''' è un abate."),
        (
            {"Nome": "A", **WOMAN, "Attività2": "x", "Attività3": "y", "Nazionalità": "n"},
            "'''A''' è un'attrice, x e y n.",
        ),
        (
            {"Nome": "A", "Attività": "x", "Attività2": "y", "AttivitàAltre": ", z e w"},
            "'''A''' è uno x, y, z e w.",
        ),
        (
            {"Nome": "A", **WOMAN, "Nazionalità": "n", "NazionalitàNaturalizzato": "m"},
            "'''A''' è un'attrice n naturalizzata m.",
        ),
        ({"Nome": "A", "FineIncipit": "fu un papa"}, "'''A''' fu un papa."),
        ({"Nome": "A", "Incipit": "B fu un papa!"}, "B fu un papa!"),
        (
            {"Nome": "A", "PostCognome": "detto B", "PostCognomeVirgola": "o C", **WOMAN},
            "'''A''' detto B, o C è un'attrice.",
        ),
        (
            {"Nome": "A", "Attività": "re", "PostNazionalità": "di [[Roma]]", "PreData": "z"},
            "'''A''' (z) è un re di [[Roma]].",
        ),
    ],
)
def test_what_a_person_is(fields: dict[str, str], sentence: str) -> None:
    assert render(fields) == sentence


@pytest.mark.parametrize(
    ("fields", "life"),
    [
        ({"LuogoNascita": "P", "AnnoNascita": "1900"}, "([[P]], [[1900]]) è un"),
        ({"LuogoNascita": "P", "LuogoNascitaLink": "P (Q)"}, "([[P (Q)|P]]) è un"),
        ({"LuogoNascita": "P", "LuogoNascitaAlt": "presso P"}, "(presso P) è un"),
        ({"GiornoMeseNascita": "2 maggio"}, "([[2 maggio]]) è un"),
        ({"AnnoNascita": "circa 1230"}, "(circa 1230) è un"),
        ({"AnnoNascita": "1230 circa"}, "(1230 circa) è un"),
        ({"AnnoNascita": "69 a.C."}, "([[69 a.C.]]) è un"),
        ({"AnnoNascita": "?", "AnnoMorte": "1900"}, "(... – [[1900]]) è stato un"),
        ({"AnnoNascita": "1200", "AnnoMorte": "?"}, "([[1200]] – ?) è stato un"),
        ({"AnnoNascita": "1800", "LuogoMorte": "[[R]]"}, "([[1800]] – [[R]]) è un"),
    ],
)
def test_places_and_dates(fields: dict[str, str], life: str) -> None:
    assert render({"Nome": "A", "Attività": "papa", **fields}) == f"'''A''' {life} papa."
