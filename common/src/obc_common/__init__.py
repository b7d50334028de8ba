"""What every process of the suite shares."""
