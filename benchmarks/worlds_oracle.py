"""Who knows every chance of a simulated world: the yardstick of the learning policies."""

from typing import Any

import numpy as np
from worlds_log import Memory
from worlds_truth import CHANNEL_COST, CHANNELS, World, draw_population


def oracle(world: World, shadow_price: float, *, lag_days: int = 0) -> dict[str, Any]:
    """Who knows every chance and takes the best candidate, if it is worth more than the shadow price of a contact.

    Args:
        world: Which.
        shadow_price: What a contact now costs later ones, in the workspace's currency.
        lag_days: Tastes are known as they were so many days ago; all else is known as it is.
    """
    people = draw_population(world)
    fixed, memory = people.fixed_logit(), Memory.new(world)
    visits, answers = np.random.default_rng([world.seed, 1]), np.random.default_rng([world.seed, 2])
    cost = np.asarray(CHANNEL_COST)
    expected = []
    for day in range(world.days):
        memory.night(day)
        who = visits.choice(world.customers, world.per_day, replace=False)
        chance = people.chance(day, who, fixed[who], load=memory.load[who], sated=memory.sated[who])
        gain = (chance * people.value[None, :, None] - cost[None, None, :]).reshape(len(who), -1)
        believed = gain
        if lag_days:
            past = people.chance(
                day, who, fixed[who], load=memory.load[who], sated=memory.sated[who], tastes_of=day - lag_days
            )
            believed = (past * people.value[None, :, None] - cost[None, None, :]).reshape(len(who), -1)
        best = believed.argmax(axis=1)
        at_best = gain[np.arange(len(who)), best]
        sent = believed[np.arange(len(who)), best] > shadow_price
        truth = chance.reshape(len(who), -1)[np.arange(len(who)), best]
        accepted = sent & (answers.random(len(who)) < truth)
        category = people.category[best // CHANNELS]
        np.add.at(memory.load, who[sent], 1.0)
        np.add.at(memory.sated, (who[accepted], category[accepted]), 1.0)
        expected.append(float(np.where(sent, at_best, 0.0).mean()))
    return {"world": world.name, "policy": "oracle", "shadow_price": shadow_price, "expected": expected}
