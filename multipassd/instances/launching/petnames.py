"""Names for instances that were given none: two friendly words."""

from __future__ import annotations

from collections.abc import Container

ATTEMPTS = 100  # at a pair that is free, before a number is added

ADJECTIVES = """
amber ample ancient arctic autumn azure blithe bold brave breezy bright brisk calm careful cheery
chilly civil clever cloudless coastal cosy crisp curious dapper daring dewy eager earnest easy
fabled fearless fleet fluffy fond frosty gentle gilded glad golden grateful hardy hasty hazel
honest hopeful humble icy jolly kind lively lofty loyal lucid lunar mellow merry mighty mild mossy
neat nimble noble northern olive patient peaceful placid plucky polite proud quick quiet rapid
restful rosy rugged rustic sandy scarlet serene silent silver snowy solar southern spry steady
sturdy sunny swift tidy tranquil trusty upbeat velvet verdant vivid warm wise witty woolly zesty
""".split()  # noqa: SIM905 - a list literal would take a page

ANIMALS = """
alpaca anchovy badger barbel beaver beetle bittern bobcat bonobo bumblebee bustard caribou chough
cicada cormorant coypu crake cricket curlew dabchick dipper dolphin dormouse dotterel dunlin
dunnock eider falcon ferret firefly flounder gannet gecko gibbon godwit goldeneye gosling grebe
grouper guillemot gurnard hamster harrier hedgehog heron hoopoe ibex jackdaw jerboa kestrel
kinglet kittiwake ladybird lapwing lemur limpet linnet lobster lynx mackerel magpie marmot marten
merlin minnow moorhen mussel narwhal newt nuthatch ocelot octopus osprey otter ouzel panda petrel
pipit plover polecat puffin quokka rabbit raven redstart robin sanderling seahorse shrew siskin
skylark sparrow squirrel starling stoat swallow tapir tench tern toad treecreeper turnstone turtle
vole wagtail walrus warbler weasel whimbrel wigeon wombat woodlouse wren yak
""".split()  # noqa: SIM905 - a list literal would take a page


def generate(taken: Container[str]) -> str:
    """A name that is not `taken`."""
    import secrets  # slow to import, and rarely needed

    name = ""
    for _ in range(ATTEMPTS):
        name = f"{secrets.choice(ADJECTIVES)}-{secrets.choice(ANIMALS)}"
        if name not in taken:
            return name
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"
