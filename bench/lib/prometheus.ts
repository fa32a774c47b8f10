/** Reads numbers from the exposition text of a process. */

export async function scrape(http: string): Promise<string> {
  const answer = await fetch(`${http}/metrics`);
  if (!answer.ok) throw new Error(`/metrics answered ${answer.status}`);
  return await answer.text();
}

/** The sum of the samples of one metric; of those whose labels are wanted. */
export function metricSum(
  text: string,
  name: string,
  wanted: (labels: string) => boolean = () => true,
): number {
  const sample = new RegExp(`^${name}(\\{[^\n]*\\})? ([0-9.eE+-]+)$`, 'gm');
  let sum = 0;
  for (const [, labels = '', value = '0'] of text.matchAll(sample)) if (wanted(labels)) sum += Number(value);
  return sum;
}
