/** An answer that is no success, with the words of Qdrant. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export const badRequest = (message: string) => new Refusal(400, message);
export const wrongInput = (message: string) => new Refusal(400, `Wrong input: ${message}`);
export const unprocessable = (message: string) =>
  new Refusal(422, `Validation error in JSON body: [${message}]`);
export const noCollection = (name: string) =>
  new Refusal(404, `Not found: Collection \`${name}\` doesn't exist!`);
