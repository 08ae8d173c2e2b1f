/** Services whose addresses anybody can rent: where nothing narrows a list down to others, that is so as well. */
const RENTED: Readonly<Record<string, RegExp>> = {
  aws: /^(?:AMAZON|EC2|EC2_INSTANCE_CONNECT|CODEBUILD|GLOBALACCELERATOR|API_GATEWAY)$/,
  azure: /^AzureCloud/,
  google: /^Google Cloud$/,
  github: /^actions/,
};

/**
 * Whether every customer of a provider has such an address for the asking.
 *
 * @param services which a list is filtered by; empty: by none
 */
export function isRented(provider: string, services: readonly string[]): boolean {
  const rented = RENTED[provider];
  if (rented === undefined) return false;
  return services.length === 0 || services.some((service) => rented.test(service));
}
