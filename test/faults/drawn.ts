const { FAULTS } = process.env;

/**
 * Of places that are like each other, those that this run tries: one in so many, drawn anew for each run and told.
 * `FAULTS=all` tries every one, `FAULTS=2` those that a run has told as 2.
 */
export function drawn<T>(what: string, places: T[], oneIn: number): T[] {
  if (FAULTS === 'all') return places;
  const draw = (FAULTS === undefined ? Math.floor(Math.random() * 60) : Number(FAULTS)) % oneIn;
  console.log(`${what}: one place in ${oneIn} is tried, FAULTS=${draw}`);
  return places.filter((_, index) => index % oneIn === draw);
}
