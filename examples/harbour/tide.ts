/** Tide arithmetic of the example: plain, slow on purpose, and worth a process of its own. */

export interface Forecast {
  readonly meanCm: number;
  readonly lunarCm: number;
  readonly solarCm: number;
  /** Highest level of the coming day, and in how many minutes. */
  readonly highWaterCm: number;
  readonly highWaterInMinutes: number;
}

interface Wave {
  readonly amplitude: number;
  readonly phase: number;
}

const LUNAR_PERIOD_MINUTES = 745;
const SOLAR_PERIOD_MINUTES = 720;
const MINUTES_PER_DAY = 1_440;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function waveAt(wave: Wave, periodMinutes: number, minute: number): number {
  return wave.amplitude * Math.cos((2 * Math.PI * minute) / periodMinutes + wave.phase);
}

/** Best wave of one period by trying amplitudes and phases: about a tenth of a second of one core. */
function fitWave(residues: readonly number[], minutesBetween: number, periodMinutes: number): Wave {
  let best: Wave = { amplitude: 0, phase: 0 };
  let bestError = Infinity;
  for (let amplitude = 0; amplitude <= 300; amplitude += 4) {
    for (let phase = 0; phase < 2 * Math.PI; phase += 0.1) {
      const wave = { amplitude, phase };
      let error = 0;
      for (const [index, residue] of residues.entries()) {
        error += (residue - waveAt(wave, periodMinutes, (index - residues.length) * minutesBetween)) ** 2;
      }
      if (error < bestError) [best, bestError] = [wave, error];
    }
  }
  return best;
}

/** Fits the two strongest tides to past levels (cm, oldest first) and looks a day ahead. */
export function forecastTide(levels: readonly number[], minutesBetween: number): Forecast {
  const meanCm = mean(levels);
  const aroundMean = levels.map((level) => level - meanCm);
  const lunar = fitWave(aroundMean, minutesBetween, LUNAR_PERIOD_MINUTES);
  const withoutLunar = aroundMean.map(
    (residue, index) =>
      residue - waveAt(lunar, LUNAR_PERIOD_MINUTES, (index - levels.length) * minutesBetween),
  );
  const solar = fitWave(withoutLunar, minutesBetween, SOLAR_PERIOD_MINUTES);

  let highWaterCm = -Infinity;
  let highWaterInMinutes = 0;
  for (let minute = 0; minute < MINUTES_PER_DAY; minute += 1) {
    const level =
      meanCm + waveAt(lunar, LUNAR_PERIOD_MINUTES, minute) + waveAt(solar, SOLAR_PERIOD_MINUTES, minute);
    if (level > highWaterCm) [highWaterCm, highWaterInMinutes] = [level, minute];
  }
  return {
    meanCm: Math.round(meanCm),
    lunarCm: lunar.amplitude,
    solarCm: solar.amplitude,
    highWaterCm: Math.round(highWaterCm),
    highWaterInMinutes,
  };
}
