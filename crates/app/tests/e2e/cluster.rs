//! Several nodes on one PostgreSQL are one platform, in trouble and under load. The checker is an outside program: it
//! knows only what was acknowledged, and what arrived. SQL is used to prepare a scene, never to judge.

mod checker;
mod clocks;
mod control;
mod failover;
mod hangs;
mod kills;
mod load;
mod nodes;
mod upgrade;
