//! What JavaScript writes, and what is refused where.

use super::*;
