/**
 * SQL for a number that stands for the owner of what is derived; 0: there is no user. It narrows what is looked at and proves
 * nothing: two names may share one.
 */
export const ownerNumber = (user: string) => `coalesce(hashtextextended(${user}, 0), 0)`;
