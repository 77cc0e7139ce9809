"""What befalls a world: faults drawn by its seed, each healed after a while."""

from collections.abc import Callable

from catalyst_sdk.continuum import Role

from .region_world import CELLS, World


class Storm:
    """Faults of `world` for as long as it is not over."""

    def __init__(self, world: World, pace: float = 3.0) -> None:
        self._world = world
        self._pace = pace
        self._heals: list[Callable[[], None]] = []
        self._is_over = False
        self._kinds = (
            self._kill, self._kill, self._freeze, self._freeze, self._lose_region, self._cut_from_cells,
            self._cut_from_cells, self._cut_one_way, self._cut_regions, self._cell_down, self._cells_down, self._lossy,
            self._break_database,
        )  # fmt: skip
        self._next()

    def end(self) -> None:
        """Heal everything."""
        self._is_over = True
        for heal in list(self._heals):
            heal()
        for region in self._world.regions:
            if self._world.processes[region].is_dead:
                self._world.start(region)

    def _next(self) -> None:
        if self._is_over:
            return
        self._world.loop.outside(self._world.random.expovariate(1 / self._pace), self._strike)

    def _strike(self) -> None:
        if not self._is_over:
            fault = self._world.random.choice(self._kinds)
            self._world.faults += 1
            fault()
            self._next()

    def _for_a_while(self, what: str, heal: Callable[[], None], most: float = 20.0) -> None:
        world = self._world
        world.trail.append(f"{world.loop.time():8.3f} !! {what}")

        def healed() -> None:
            if healed in self._heals:
                self._heals.remove(healed)
                world.trail.append(f"{world.loop.time():8.3f} !! over: {what}")
                heal()

        self._heals.append(healed)
        world.loop.outside(world.random.uniform(0.1, most), healed)

    def _region(self) -> str:
        return self._world.random.choice(self._world.regions)

    def _kill(self) -> None:
        world, region = self._world, self._region()
        process = world.processes[region]
        if process.is_dead:
            return
        process.kill()
        self._for_a_while(f"{region}'s agent is killed", lambda: self._restart(region))

    def _restart(self, region: str) -> None:
        if self._world.processes[region].is_dead:
            self._world.start(region)

    def _freeze(self) -> None:
        process = self._world.processes[self._region()]
        if not process.is_frozen:
            process.freeze()
            self._for_a_while(f"{process.name} is frozen", lambda: process.is_dead or process.thaw())

    def _lose_region(self) -> None:
        world, region = self._world, self._region()
        site = world.sites[region]
        if not site.is_up:
            return
        world.processes[region].kill()
        site.is_up = False
        site.deadline = 0.0

        def back() -> None:
            # Whoever comes back starts fenced, as a replica.
            site.is_up, site.role, site.follows = True, Role.REPLICA, ""
            self._restart(region)

        self._for_a_while(f"{region} is lost", back, 30.0)

    def _cut(self, what: str, pairs: set[tuple[str, str]]) -> None:
        new = pairs - self._world.cut
        self._world.cut |= new
        self._for_a_while(what, lambda: self._world.cut.difference_update(new))

    def _cut_from_cells(self) -> None:
        region = self._region()
        cells = self._world.random.sample(CELLS, self._world.random.choice((2, 3)))
        pairs = {(region, cell) for cell in cells} | {(cell, region) for cell in cells}
        self._cut(f"{region} is cut from {len(cells)} cells", pairs)

    def _cut_one_way(self) -> None:
        region = self._region()
        self._cut(f"{region} hears no cell", {(cell, region) for cell in CELLS})

    def _cut_regions(self) -> None:
        one, other = self._world.random.sample(self._world.regions, 2)
        pairs = {(one, other), (other, one)} if self._world.random.random() < 0.7 else {(one, other)}
        self._cut(f"{one} is cut from {other}", pairs)

    def _down(self, cells: list[str]) -> None:
        new = set(cells) - self._world.is_down
        self._world.is_down |= new
        self._for_a_while(f"{' and '.join(cells)} down", lambda: self._world.is_down.difference_update(new))

    def _cell_down(self) -> None:
        self._down([self._world.random.choice(CELLS)])

    def _cells_down(self) -> None:
        self._down(self._world.random.sample(CELLS, 2))

    def _lossy(self) -> None:
        self._world.loss = self._world.random.choice((0.1, 0.3))
        self._for_a_while("messages are lost", lambda: setattr(self._world, "loss", 0.0))

    def _break_database(self) -> None:
        site = self._world.sites[self._region()]
        if not site.is_broken:
            site.is_broken = True
            self._for_a_while(f"the database of {site.region} is broken", lambda: setattr(site, "is_broken", False), 30)
