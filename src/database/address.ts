/** The address of a database with one more option for the sessions there. In the address: what it says would win over what is said beside it. */
export function withOption(url: string, option: string): string {
  const address = new URL(url);
  const given = address.searchParams.get('options') ?? '';
  address.searchParams.set('options', `${given} ${option}`.trim());
  return address.href;
}
