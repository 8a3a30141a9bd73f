// Settings from the environment, as in a Lambda function.

/** The value of a variable; a clear error at start is better than `undefined` in the middle of an event. */
export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`the environment variable ${name} is not set`);
  return value;
}
