//! What this step promises.

use testkit::{Chat, promises};

promises! {
    Chat::new(2, env!("CARGO_BIN_EXE_step2-tcp")),
    shared: [
        half_a_line_waits,
        a_split_character_survives,
        pieces_do_not_matter,
        broken_utf8_is_replaced,
        controls_are_never_raw,
        line_ends_and_blanks,
        the_longest_line_is_whole,
        the_longest_line_through_our_client,
        exit_leaves,
        what_looks_like_exit_does_not_leave,
        exit_without_a_line_end_leaves,
        the_last_line_needs_no_line_end,
        piped_lines_all_arrive,
        input_that_ends_at_once_is_delivered,
        a_half_close_is_answered,
        a_reset_in_a_line_is_one_notice,
        a_port_can_be_used_again,
        no_port_and_no_server_are_told,
        usage_is_told,
        any_address_will_do,
        the_servers_end_ends_a_client,
        a_closed_screen_ends_a_client,
        a_lost_connection_is_an_error,
        a_client_does_not_wait_for_ever,
        what_is_typed_early_is_kept,
        exit_ends_both,
        exit_ends_a_server_without_a_client,
        exit_prints_what_still_comes,
        a_second_client_is_refused,
    ],
    alone: [
        an_endless_line_is_cut,
    ],
}
