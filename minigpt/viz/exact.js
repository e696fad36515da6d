// Numbers with all their digits, computed in float64 as in Python, and how they are written into sums.

// the numbers of an array that Python's `exact` made
const reals = ({double, numbers}) => double ? new Float64Array(bytes(numbers).buffer) : Float64Array.from(floats(numbers));

// A number to read, four digits, with a true minus sign; as a factor negative ones stand in brackets.
const say = (x) => Number.isFinite(x) ? number(x).replace(/-/g, "−") : numeral(x);
const factor = (x) => x < 0 ? `(${say(x)})` : say(x);
